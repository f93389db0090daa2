"""The command line: options to configurations, events to lines, errors to exit statuses."""
