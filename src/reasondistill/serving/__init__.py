"""An HTTP service and a page over students.

In come requests with a task's own fields; out go labels, probabilities and explanations, which words moved them, and
what people say of them. `docs/design/serving.md` draws the way of a request. FastAPI, uvicorn and prometheus-client are
imported where they are used: they come with the extra `serve`.
"""

from reasondistill.serving.client import Client as Client
from reasondistill.serving.client import ServiceError as ServiceError
from reasondistill.serving.server import asgi_application as asgi_application
from reasondistill.serving.server import serve as serve
from reasondistill.serving.service_settings import ServiceSettings as ServiceSettings
