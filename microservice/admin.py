"""Services, versions, instances, deployments and what happened, in the admin site: to look at and to search.

Everything here is changed through `catalog`, `instances.py` and `deployments.py`, which know the rules, take the
locks and write the history; a form that saves a row would know none of it.
"""
from django.contrib import admin

from access.admin import ReadOnly

from .models import (
    Deployment,
    Event,
    Heartbeat,
    History,
    MicroService,
    MicroServiceInstance,
    MicroServiceVersion,
    Operation,
    Step,
)


@admin.register(MicroService)
class MicroServiceAdmin(ReadOnly):
    list_display = ("name", "language", "build_orig", "updated", "updated_by")
    list_filter = ("language", "build_orig")
    search_fields = ("name",)


@admin.register(MicroServiceVersion)
class MicroServiceVersionAdmin(ReadOnly):
    list_display = ("id", "microservice", "version", "status", "ref", "bad", "created", "created_by")
    list_filter = ("status", "bad")
    list_select_related = ("microservice",)
    search_fields = ("version", "microservice__name")


@admin.register(MicroServiceInstance)
class MicroServiceInstanceAdmin(ReadOnly):
    list_display = ("id", "microservice", "host", "version", "status", "locked", "is_maintain", "updated")
    list_filter = ("status", "locked", "is_maintain")
    list_select_related = ("microservice", "host", "version")
    search_fields = ("microservice__name", "host__hostname", "host__ip")


@admin.register(Deployment)
class DeploymentAdmin(ReadOnly):
    list_display = ("id", "microservice", "action", "from_version", "dest_version", "status", "requested_by", "created")
    list_filter = ("status", "action")
    list_select_related = ("microservice", "from_version", "dest_version")
    search_fields = ("microservice__name", "requested_by")


class StepInline(admin.TabularInline):
    model = Step
    extra = 0
    can_delete = False
    fields = ("position", "name", "status", "old_state", "new_state", "exit_status", "started", "finished")

    def has_add_permission(self, request, obj=None) -> bool:
        return False

    def has_change_permission(self, request, obj=None) -> bool:
        return False


@admin.register(Operation)
class OperationAdmin(ReadOnly):
    list_display = ("id", "deployment", "host", "action", "status", "undo_status", "attempt", "started", "finished")
    list_filter = ("status", "undo_status", "action")
    list_select_related = ("deployment", "host")
    search_fields = ("=id", "=deployment__id", "host__hostname")
    inlines = (StepInline,)


@admin.register(Event)
class EventAdmin(ReadOnly):
    list_display = ("id", "deployment", "kind", "created")
    list_select_related = ("deployment",)
    search_fields = ("=deployment__id",)


@admin.register(History)
class HistoryAdmin(ReadOnly):
    list_display = ("created", "actor", "action", "subject", "subject_name", "reason")
    list_filter = ("action", "subject")
    search_fields = ("actor", "subject_name")


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ("worker", "seen", "slots")
