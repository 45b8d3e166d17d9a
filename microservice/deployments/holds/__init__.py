"""What holds up a request, and how it is let wait: for approval, for the end of a freeze, for its time.

../wait_reasons decides, from values; `facts` reads them; `hold` saves the deployment without operations and locks, and
the request as JSON (`values`). How a wait ends: ../waiting.
"""
