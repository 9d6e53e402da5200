// SPDX-License-Identifier: MIT
const answer = (request, response) => response.end(`good ${process.pid}\n`);
const server = require("http").createServer(answer).listen({ fd: 3 });
process.on("SIGTERM", () => server.close());
