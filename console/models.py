"""What the console keeps for each person: how pages look, and which services come first."""

from django.conf import settings
from django.db import models

from microservice.models import MicroService


class Theme(models.TextChoices):
    """The colours of pages. `SYSTEM`: those of the browser."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Preference(models.Model):
    """One row a person, from their first choice on."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="preference"
    )
    theme = models.CharField(max_length=8, choices=Theme.choices, default=Theme.SYSTEM)

    class Meta:
        db_table = "preference"

    def __str__(self) -> str:
        return f"{self.user}: {self.theme}"


class Favourite(models.Model):
    """A service that a person has marked with a star."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="favourites")
    service = models.ForeignKey(MicroService, on_delete=models.CASCADE, related_name="favourites")

    class Meta:
        db_table = "favourite"
        constraints = [models.UniqueConstraint(fields=["user", "service"], name="one_star_a_service")]

    def __str__(self) -> str:
        return f"{self.user}: {self.service}"


class SavedFilter(models.Model):
    """A filter of a list that a person has given a name; saved_filters.py has the rules."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_filters")
    page = models.CharField(max_length=16)  # of saved_filters.PARAMETERS
    name = models.CharField(max_length=64)
    query = models.CharField(max_length=2000)  # of the list's address

    class Meta:
        db_table = "saved_filter"
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "page", "name"], name="one_filter_of_a_name")]

    def __str__(self) -> str:
        return f"{self.user}: {self.name} ({self.page})"
