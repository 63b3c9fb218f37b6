from django.urls import path

from daemons.consumers import ProcessConsumer

websocket_urlpatterns = [path("ws/processes/<int:number>/", ProcessConsumer.as_asgi())]
