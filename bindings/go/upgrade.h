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

/*
 * From the first call on, signals that control a pool stay pending in the main thread, which calls
 * it. There they outlive the execution of a program. The second is for an execution that failed.
 */
void begin_upgrade_signals(void);
void end_upgrade_signals(void);

/* Empties the mask of this thread: the library has restored that of the program before. */
void clear_signal_mask(void);

#endif
