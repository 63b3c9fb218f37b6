from django.urls import path

from transcripts.views import segment_acts, segments, sessions, transcript

urlpatterns = [
    path("sessions/", sessions.sessions, name="sessions"),
    path("sessions/taking/<slug:slug>/", sessions.take, name="taking"),
    path("sessions/<int:number>/", transcript.transcript, name="transcript"),
    path("sessions/<int:number>/search/", transcript.search, name="transcript_search"),
    path("sessions/<int:number>/events/<int:event>/", transcript.event, name="event"),
    path("sessions/<int:number>/events/<int:event>/raw/", transcript.raw, name="event_raw"),
    path("sessions/<int:number>/events/<int:event>/images/<int:place>/", transcript.image, name="event_image"),
    path("sessions/<int:number>/segments/", segments.segments, name="segments"),
    path("sessions/<int:number>/segments/review/", segment_acts.review_session, name="segments_review"),
    path("sessions/<int:number>/segments/brief/", segment_acts.brief, name="segments_brief"),
    path("sessions/<int:number>/segments/wording/", segment_acts.reword, name="segments_wording"),
    path("sessions/<int:number>/segments/<int:segment>/edit/<str:field>/", segment_acts.edit, name="segment_edit"),
    path("sessions/<int:number>/segments/<int:segment>/made/<str:field>/", segment_acts.unedit, name="segment_unedit"),
    path("sessions/<int:number>/segments/<int:segment>/merge/", segment_acts.merge, name="segment_merge"),
    path("sessions/<int:number>/segments/<int:segment>/split/", segment_acts.split, name="segment_split"),
    path("sessions/<int:number>/segments/<int:segment>/review/", segment_acts.review, name="segment_review"),
    path("sessions/<int:number>/segments/<int:segment>/comments/", segment_acts.comment, name="segment_comment"),
    path("sessions/<int:number>/segments/<int:segment>/uses/<str:field>/", segment_acts.use, name="segment_use"),
]
