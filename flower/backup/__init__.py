"""``manage.py backup FILE`` and ``manage.py restore FILE``: flower's state as one file, and back.

The file is a zip archive. Its ``manifest.json`` (flower/backup/archive.py) says of which flower and of which migrations
it is, and names every member with its size and SHA-256; ``rows/`` holds a table each as JSON lines, the same for every
database (flower/backup/rows.py); ``files/`` what lies in the state folder beside the database.

Making one (flower/backup/making.py) reads one snapshot and holds up nobody. Bringing one back
(flower/backup/restoring.py) checks all of it before it changes anything; killed at any moment, it may be run again.
"""
