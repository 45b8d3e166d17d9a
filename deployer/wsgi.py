import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
application = get_wsgi_application()

from outside.storage import check_at_start  # noqa: E402 - Django has to be set up first

check_at_start()
