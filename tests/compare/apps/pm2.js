// SPDX-License-Identifier: MIT
'use strict';
// The application in a worker of pm2, with its signal of readiness and its graceful stop.

const { serve } = require('./app.js');

serve().then((server) => {
  process.send('ready');
  process.on('SIGINT', () => server.close(() => process.exit(0)));
});
