#ifndef WORKER_H
#define WORKER_H

/* A worker's whole life on its channel to relay-send (work.h). Does not return. */
_Noreturn void worker_run(int channel);

#endif
