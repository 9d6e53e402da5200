// SPDX-License-Identifier: MIT
'use strict';
// The server of examples/hello.js for pm2, with its signal of readiness and its graceful stop.

const http = require('node:http');

const server = http.createServer((request, response) => {
  const body = `hello from pid ${process.pid}`;
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(body);
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => process.send?.('ready'));
process.on('SIGINT', () => server.close(() => process.exit(0)));
