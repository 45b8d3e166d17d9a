"""Objects in the package store that belong to no version."""

from django.db import models


class UnclaimedPackage(models.Model):
    """An object in the store without a version: not yet, or not any more.

    The row is created before the object, and deleted in the transaction in which a version claims the object. So the
    sweep finds what a process that died in between left. `doomed`: it is being removed and cannot be claimed any more.
    """

    path = models.CharField(max_length=255, unique=True)
    doomed = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        db_table = "micro_service_unclaimed_package"

    def __str__(self) -> str:
        return self.path
