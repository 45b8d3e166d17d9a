import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
application = get_wsgi_application()

from django.urls import get_resolver  # noqa: E402 - after Django is set up

from integrations.storage import check_folders  # noqa: E402
from runtime.celery_app import app  # noqa: E402
from runtime.gc_tuning import freeze_loaded_objects  # noqa: E402

check_folders()
# Load everything that requests need before the first one: pages, the API and the broker client.
get_resolver().url_patterns  # noqa: B018
app.connection_for_write().transport  # noqa: B018 - loads the library without connecting
freeze_loaded_objects()
