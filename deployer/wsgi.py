import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
application = get_wsgi_application()

from django.urls import get_resolver  # noqa: E402 - Django has to be set up first

from integrations.storage import check_folders  # noqa: E402
from runtime.celery_app import app  # noqa: E402
from runtime.gc_tuning import freeze_loaded_objects  # noqa: E402

check_folders()
# Everything that requests need is loaded before the first one comes: pages, the API, and what speaks with the broker.
get_resolver().url_patterns  # noqa: B018
app.connection_for_write().transport  # noqa: B018 - loads the library, connects to nothing
freeze_loaded_objects()
