"""MCP for agents: arguments (schema), the tools that there are (registry), the ASGI app on ``/mcp`` (endpoint)."""
