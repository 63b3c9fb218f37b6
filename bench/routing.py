from django.urls import path

from bench.consumers import BareConsumer

websocket_urlpatterns = [path("ws/bench/", BareConsumer.as_asgi())]
