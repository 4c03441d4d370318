// A program that was written for the installed library: C++. Runs a workload for a moment and prints what came of it.
#include <einet/einet.h>

#include <iostream>
#include <memory>
#include <string>

namespace
{
struct destroy {
    void operator()(einet_workload *workload) const { einet_workload_destroy(workload); }
    void operator()(einet_run *run) const { einet_run_destroy(run); }
};

int complain(const einet_error &err)
{
    std::cerr << err.text << '\n';
    return 1;
}
} // namespace

int main()
{
    const std::string text = "version: 1\nname: consumer\ntasks:\n"
                             "  - { name: control, arrival: { model: periodic, period: 10ms }, deadline: 5ms,\n"
                             "      stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n";
    einet_error err = {};
    einet_workload *parsed = nullptr;
    if (einet_workload_parse(text.data(), text.size(), nullptr, &parsed, &err) < 0) {
        return complain(err);
    }
    const std::unique_ptr<einet_workload, destroy> workload(parsed);

    int results = 0;
    einet_callbacks callbacks = {};
    callbacks.size_bytes = sizeof callbacks;
    callbacks.context = &results;
    callbacks.on_result = [](void *context, const einet_result *) { ++*static_cast<int *>(context); };
    einet_run_options options = {};
    options.size_bytes = sizeof options;
    options.duration_ns = 200000000;
    options.callbacks = &callbacks;
    einet_run *created = nullptr;
    if (einet_run_create(workload.get(), &options, &created, &err) < 0) {
        return complain(err);
    }
    const std::unique_ptr<einet_run, destroy> run(created);
    einet_end end = {};
    end.size_bytes = sizeof end;
    if (einet_run_start(run.get(), &err) < 0 || einet_run_wait(run.get(), -1, &err) < 0 ||
        einet_run_end(run.get(), &end) < 0) {
        return complain(err);
    }
    std::cout << "einet " << einet_version() << ": " << einet_workload_name(workload.get()) << ": "
              << (results > 0 && end.is_accounted ? "runs" : "does nothing") << '\n';
    return 0;
}
