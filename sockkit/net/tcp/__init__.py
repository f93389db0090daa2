"""Stream connections: dialling, listening, a client's session, a server of many."""
