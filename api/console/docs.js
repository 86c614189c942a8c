// Swagger UI over the specification that this API serves; it contacts no other server.

const dark = () => document.documentElement.classList.toggle("dark-mode", document.documentElement.dataset.theme === "dark");
addEventListener("themechange", dark);
dark();

SwaggerUIBundle({
  url: "/schema/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  // Its validator is a service of another server.
  validatorUrl: null,
});
