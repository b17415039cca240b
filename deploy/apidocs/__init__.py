"""The API documents under docs/, made from the code that they describe: ``python -m deploy.apidocs``."""
