from django.apps import AppConfig


class AssetConfig(AppConfig):
    name = "asset"
    default_auto_field = "django.db.models.BigAutoField"
