"use strict";

// Requests from this page rely on the session's cookies, so unsafe ones must carry the CSRF token.
function csrfToken() {
  const pair = document.cookie.split("; ").find((cookie) => cookie.startsWith("hub_csrf="));
  return pair ? pair.slice("hub_csrf=".length) : null;
}

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  filter: true,
  docExpansion: "none",
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    const token = csrfToken();
    if (token && !request.headers["x-csrf-token"]) {
      request.headers["x-csrf-token"] = token;
    }
    return request;
  },
});
