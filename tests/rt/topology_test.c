/* The machine as hwloc and the kernel describe it, and binding that is read back. */
#include "tests/harness/harness.h"

#include "rt/thread.h"
#include "rt/topology.h"
#include <errno.h>
#include <sched.h>
#include <unistd.h>

EI_TEST(topology_allowed_agrees_with_the_kernel)
{
    struct ei_cpuset allowed, self;
    struct ei_thread_state state;
    EI_REQUIRE(ei_topology_allowed(&allowed, NULL) == 0);
    EI_REQUIRE(ei_topology_read_self(&self, NULL) == 0);
    EI_REQUIRE(ei_thread_read(0, &state) == 0);
    EI_TRUE(!ei_cpuset_is_empty(&allowed));
    EI_TRUE(ei_cpuset_is_equal(&self, &state.cpus));
    EI_TRUE(ei_cpuset_is_equal(&allowed, &state.cpus));
}

EI_TEST(topology_binds_to_each_allowed_cpu)
{
    struct ei_cpuset allowed;
    EI_REQUIRE(ei_topology_allowed(&allowed, NULL) == 0);
    for (int cpu = ei_cpuset_next(&allowed, 0); cpu >= 0; cpu = ei_cpuset_next(&allowed, cpu + 1)) {
        struct ei_cpuset one = {{0}}, self = {{0}};
        ei_cpuset_add(&one, cpu);
        EI_EQ(ei_topology_bind_self(&one, NULL), 0);
        EI_EQ(ei_topology_read_self(&self, NULL), 0);
        EI_TRUE(ei_cpuset_is_equal(&one, &self));
        EI_EQ(sched_getcpu(), cpu);
    }
    EI_EQ(ei_topology_bind_self(&allowed, NULL), 0);
}

EI_TEST(topology_refuses_foreign_and_empty_sets)
{
    struct ei_cpuset allowed, none = {{0}}, foreign = {{0}};
    struct einet_error err;
    EI_REQUIRE(ei_topology_allowed(&allowed, NULL) == 0);
    EI_EQ(ei_topology_bind_self(&none, &err), -EINVAL);
    for (int cpu = 0; cpu < EI_CPU_MAX; cpu++) {
        if (!ei_cpuset_has(&allowed, cpu)) {
            ei_cpuset_add(&foreign, cpu);
            break;
        }
    }
    EI_EQ(ei_topology_bind_self(&foreign, &err), -EINVAL);
    EI_CONTAINS(err.text, "not among those that this process may use");
}

EI_TEST(machine_is_described)
{
    struct ei_machine machine;
    EI_REQUIRE(ei_machine_describe(&machine, NULL) == 0);
    EI_TRUE(machine.cpu_count >= ei_cpuset_count(&machine.allowed_cpus));
    EI_TRUE(machine.core_count >= 1 && machine.core_count <= machine.cpu_count);
    EI_TRUE(machine.memory_bytes > 0);
    EI_TRUE(machine.kernel[0] != '\0' && machine.preemption[0] != '\0');
    EI_TRUE(machine.rt_runtime_us >= -2);
}
