"""The addresses of requests about a shop's instances, and whether one changed anything."""

from microservice.models import Deployment, MicroServiceInstance


def of(shop, rest=""):
    return f"/services/{shop.service.name}/instances/{rest}"


def going(shop, action="upgrade", version=1):
    return f"/services/shop/versions/{shop.versions[version].pk}/{action}"


def unchanged():
    return not Deployment.objects.exists() and not MicroServiceInstance.objects.filter(locked=True).exists()
