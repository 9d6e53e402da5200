// SPDX-License-Identifier: MIT
export * from './index.js';
import libprefork = require('./index.js');
export default libprefork;
