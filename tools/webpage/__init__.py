"""The web page's server: uploads, preflight, jobs and results, on this machine alone."""
