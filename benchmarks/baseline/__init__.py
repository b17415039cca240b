"""The plain FastAPI gateway that everybody writes: a topic read with aiokafka, sent to every client."""
