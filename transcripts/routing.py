from django.urls import path

from transcripts.consumers import SessionConsumer

websocket_urlpatterns = [path("ws/sessions/<int:number>/", SessionConsumer.as_asgi())]
