"""SQL for people: what may be asked (`text`), and where it is asked (`desk`).

Four fences, each enough for most mistakes: the role `analyst`, which can read the marts and write
nothing; a read-only transaction of two seconds on one of two connections, cleaned after each use; a
list of functions, so that nothing is called that works on the server instead of on rows; and bounds on
rows and bytes.
"""
