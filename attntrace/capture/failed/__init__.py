"""Why a forward failed: the call described, the fix tried, the wrong size followed back.

It begins in `stop`, for a run that was watched, or in `after`, for a crash that nobody watched;
`crashed` has the call off the traceback, `diagnose` asks who can explain it.

    stack    the frames, and the modules whose forwards they are
    call     how the call is written, and what it was given
    values   what the expressions in it stood for
    python   what Python itself refused, and checks of the author's own
    origin   which lines set the size that is wrong
    trial    whether a fix works; `again`: whether all of it fails once more
"""
