/*
 * upgrade.h - what one program hands over to the next by Pool.Upgrade
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_GO_UPGRADE_H
#define PREFORK_GO_UPGRADE_H

#define UPGRADE_VARIABLE "PREFORK_GO_UPGRADE"
#define LISTENERS_VARIABLE "PREFORK_GO_LISTENERS"

/* 1 if this program was executed by Pool.Upgrade. */
int is_upgraded(void);

/* The listeners, as the variable has them; "" if there are none. */
const char *upgrade_listeners(void);

/* The signals that came meanwhile: bit n is signal n. */
unsigned long long upgrade_signals(void);

#endif
