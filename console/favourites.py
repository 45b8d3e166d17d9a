"""The services that a person has marked with a star. They come first on the first page.

A live fragment knows no person (views/fragment_cache.py): the page's script names the favourites that the page showed,
and those with the same ones share it. Nobody sees a service more by naming it.
"""

from django.http import HttpRequest

from microservice.models import MicroService
from runtime.ids import parse_id

from .models import Favourite

PARAMETER = "favourites"
MAX_FAVOURITES = 100


def ids_of(request: HttpRequest) -> list[int]:
    """Return the ids of the services whose stars the page shows. At most one query for a request."""
    found: list[int] | None = vars(request).get(PARAMETER)
    if found is None:
        found = vars(request)[PARAMETER] = _ids_of(request)
    return found


def _ids_of(request: HttpRequest) -> list[int]:
    user = getattr(request, "user", None)
    if user is None:
        named = map(parse_id, request.GET.get(PARAMETER, "").split(","))
        return [number for number in named if number][:MAX_FAVOURITES]
    rows = Favourite.objects.filter(user=user.pk).order_by("service")
    return list(rows.values_list("service", flat=True)[:MAX_FAVOURITES])


def mark(user: int, service: MicroService, is_favourite: bool) -> None:
    """Give the service a person's star, or take it away. To repeat it changes nothing."""
    if is_favourite:
        Favourite.objects.get_or_create(user_id=user, service=service)
    else:
        Favourite.objects.filter(user=user, service=service).delete()
