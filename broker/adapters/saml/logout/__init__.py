"""Single logout: reads and writes the LogoutRequests and LogoutResponses of both sides."""
