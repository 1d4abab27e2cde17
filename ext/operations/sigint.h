/* sigint.h - notices Ctrl-C while a command runs, whoever owns the process's SIGINT handler.
**
** Why: the sqlite3 shell turns SIGINT into sqlite3_interrupt(), but Python only sets a flag that it looks at
** when the C call returns, so the flag of ours is what stops a load there. The handler is chained: whoever
** was there before is called as well, and is put back afterwards. Safe from any thread; process-wide and
** counted. */
#ifndef OS_OPERATIONS_SIGINT_H
#define OS_OPERATIONS_SIGINT_H

/* Chain the handler unless it is chained already. A process that ignores SIGINT is left alone. */
void os_sigint_enter(void);
/* Undo one os_sigint_enter(). The last one puts the earlier handler back, and, when that was the system's
** default and a SIGINT came meanwhile, raises it again: a program that dies of Ctrl-C still does. */
void os_sigint_leave(void);
/* How many SIGINTs the chained handler has seen so far. */
unsigned os_sigint_count(void);
#endif
