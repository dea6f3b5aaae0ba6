"""Time: engines that turn a task graph and task durations into a timeline."""
