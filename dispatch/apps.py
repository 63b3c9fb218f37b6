from django.apps import AppConfig


class DispatchConfig(AppConfig):
    name = "dispatch"
    verbose_name = "dispatch"

    def ready(self) -> None:
        from briefs import lifecycle, signals
        from daemons.services import processes
        from dispatch import auto, gauges, list_versions, machine, services, sessions, tools  # noqa: F401  some declare what they hold
        from dispatch import lifecycle as dispatches
        from worktrees import recalling
        from worktrees import services as worktrees

        lifecycle.guard(services.guard_manual_move)
        worktrees.guard(services.guard_removal)
        recalling.occupied(services.at_work_in)
        signals.stirred.connect(dispatches.on_stirred, weak=False, dispatch_uid="dispatch-status")
        signals.stirred.connect(auto.on_stirred, weak=False, dispatch_uid="dispatch")
        processes.ended.connect(machine.on_process_ended, weak=False, dispatch_uid="dispatch")
