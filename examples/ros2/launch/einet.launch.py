"""Run a workload of EINet-RT beside the nodes of a robot.

ros2 launch examples/ros2/launch/einet.launch.py workload:=examples/ros2/robot.yaml priority:=60

ROS_DOMAIN_ID is einet-dds's domain as it is that of every node. At the end of the launch SIGINT drains the run: images
that were taken are answered, and the figures are printed.
"""
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration


def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("workload", description="workload file whose tasks take images of topics"),
        DeclareLaunchArgument("priority", default_value="0",
                              description="SCHED_FIFO priority of the threads that carry messages, 0 = none"),
        DeclareLaunchArgument("command", default_value="einet-dds", description="where einet-dds lies"),
        ExecuteProcess(
            cmd=[LaunchConfiguration("command"), "--priority", LaunchConfiguration("priority"),
                 LaunchConfiguration("workload")],
            name="einet",
            output="screen",
            sigterm_timeout="10",
        ),
    ])
