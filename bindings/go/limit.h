/* SPDX-License-Identifier: MIT */
#ifndef PREFORK_GO_LIMIT_H
#define PREFORK_GO_LIMIT_H

#define LIMIT_VARIABLE "PREFORK_GO_NOFILE"

/* The soft limit on open files before Go's runtime began; 0: not known. */
unsigned long long limit_at_start(void);

#endif
