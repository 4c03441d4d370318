// A program that was written for the installed library: C++. Prints what it finds in a workload.
#include <einet/einet.h>

#include <iostream>
#include <memory>
#include <string>

int main()
{
    const std::string text = "version: 1\nname: consumer\ntasks:\n"
                             "  - { name: control, arrival: { model: periodic, period: 10ms }, deadline: 5ms,\n"
                             "      stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n";
    einet_error err = {};
    einet_workload *made = nullptr;
    if (einet_workload_parse(text.data(), text.size(), nullptr, &made, &err) < 0) {
        std::cerr << err.text << '\n';
        return 1;
    }
    const std::unique_ptr<einet_workload, decltype(&einet_workload_destroy)> workload(made, einet_workload_destroy);
    einet_task_info info = {};
    info.size_bytes = sizeof info;
    const int32_t task = einet_workload_find_task(workload.get(), "control");
    if (task < 0 || einet_workload_task_info(workload.get(), task, &info) < 0) {
        return 1;
    }
    std::cout << "einet " << einet_version() << ": " << einet_workload_name(workload.get()) << ": " << info.name << " has "
              << info.deadline_ns << " ns\n";
    return 0;
}
