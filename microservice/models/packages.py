"""What lies in the package store and belongs to no version."""

from django.db import models


class UnclaimedPackage(models.Model):
    """An object in the store that no version names: not yet, or not any more.

    The row is there before the object is, and goes in the transaction in which a version takes the object: whatever
    dies in between, the sweep finds what it left. `doomed`: it is being removed, and no version may take it any more.
    """

    path = models.CharField(max_length=255, unique=True)
    doomed = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        db_table = "micro_service_unclaimed_package"

    def __str__(self) -> str:
        return self.path
