from django.urls import path

from briefs.consumers import BoardConsumer, BriefConsumer

websocket_urlpatterns = [
    path("ws/board/", BoardConsumer.as_asgi()),
    path("ws/briefs/<int:number>/", BriefConsumer.as_asgi()),
]
