/* One operation: two workers, one sweep, one host; any of them may crash or be late.
 *
 * What is modelled, and where it is in the code: the claim and the result as compare-and-set with a fence
 * (worker/claims.py, writer.py), the lease that may expire at any time (a worker that is frozen, cut off or only
 * slow), and the host's own fence, lock and journal (deployer/engine/runner/lock.sh, main.sh). A message to the host
 * may be late by any time: the worker that sent it may have been replaced, or be dead, when it arrives.
 *
 * The switches NO_HOST_FENCE, NO_FENCE_IN_ROWS and NO_TAKEOVER remove one protection each; then the check must fail.
 */
#define CRASHES 1		/* how often workers may die in total */
#define LAPSES  1		/* how often a lease may expire while its worker lives */

mtype = { QUEUED, RUNNING, SUCCEEDED, UNDONE, UNLOCKED };	/* the row */
mtype = { NONE, ALIVE, DONE, DEAD, RECOVERED };		/* the run on the host */
mtype = { START, ATTACH };

mtype row = QUEUED;
byte owner = 0;			/* 0: no worker */
byte fence = 0;			/* of the instance; grows with every claim */
bool lapsed = false;

mtype atom_is = NONE;
byte host_fence = 0;
byte starts = 0;		/* how often the start command was run */
byte undos = 0;

byte crashes = 0, lapses = 0, late_writes = 0;
bool next_began = false;		/* the next operation on this instance has the host */

/* To the host: kind, fence, worker. Back to each worker: the host's answer. */
chan wire = [3] of { mtype, byte, byte };
chan reply[3] = [4] of { byte, byte };	/* with the fence of the attempt that it answers: each attempt has a nonce */
#define NO_RUN   1
#define LOWER    2
#define IS_DONE  3
#define IS_UNDONE 4
#define GONE_ON  5

inline answer(who, what) {
	if
	:: nfull(reply[who]) -> reply[who]!what, f
	:: full(reply[who]) -> skip	/* no one listens any more */
	fi
}

/* The host takes one message at a time: its lock ensures that. */
active proctype Host() {
	mtype kind; byte f, who;
end:	do
	:: wire?kind, f, who ->
		atomic {
			if
#ifndef NO_HOST_FENCE
			:: f < host_fence -> answer(who, LOWER)
#endif
#ifdef NO_HOST_FENCE
			:: true ->
#else
			:: f >= host_fence ->
#endif
				host_fence = (f > host_fence -> f : host_fence);
				if
				:: kind == START && atom_is == NONE ->
					assert(!next_began);	/* never after the next operation has begun */
					atom_is = ALIVE; starts++; answer(who, GONE_ON)
				:: kind == START && atom_is != NONE -> answer(who, GONE_ON)
				:: kind == ATTACH && atom_is == NONE -> answer(who, NO_RUN)
				:: kind == ATTACH && atom_is == ALIVE -> answer(who, GONE_ON)
				:: kind == ATTACH && atom_is == DONE -> answer(who, IS_DONE)
				:: kind == ATTACH && atom_is == DEAD -> atom_is = RECOVERED; undos++; answer(who, IS_UNDONE)
				:: kind == ATTACH && atom_is == RECOVERED -> answer(who, IS_UNDONE)
				fi
			fi
		}
	:: atom_is == ALIVE -> atom_is = DONE			/* the atom goes on by itself … */
	:: atom_is == ALIVE -> atom_is = DEAD			/* … or its processes die (a reboot) */
	od
}

/* An operator force-unlocks the instance. The next operation takes it with a higher fence and recovers what is left. */
active proctype Operator() {
	byte next;
	if
	:: atomic { row == RUNNING -> row = UNLOCKED; owner = 0; fence++; next = fence };
		atomic {
			atom_is != ALIVE ->		/* the host's lock: busy until then */
			host_fence = next; next_began = true;
			if
			:: atom_is == DEAD -> atom_is = RECOVERED; undos++
			:: else -> skip
			fi
		}
	:: skip				/* most are never force-unlocked */
	fi
}

/* A lease may expire although its worker lives: that makes the worker late. */
active proctype Clock() {
end:	do
	:: atomic { row == RUNNING && !lapsed && lapses < LAPSES -> lapsed = true; lapses++ }
	od
}

inline ending(result) {
	atomic {
		if
#ifdef NO_FENCE_IN_ROWS
		:: true ->
#else
		:: row == RUNNING && owner == me && fence == mine ->
#endif
			/* What is written is what the host says now, and nothing runs there. */
			assert(result == SUCCEEDED -> atom_is == DONE : atom_is == RECOVERED);
			assert(row == RUNNING);		/* a row that has ended is never written again */
			row = result; owner = 0
#ifndef NO_FENCE_IN_ROWS
		:: else -> late_writes++		/* refused: another worker owns it */
#endif
		fi
	}
}

/* A worker process with its own sweep: it claims what is due and whose lease has expired. */
proctype Worker(byte me) {
	byte mine, said, about; bool fresh;
claim:
	atomic {
		do
		:: row == QUEUED -> fresh = true; break
#ifndef NO_TAKEOVER
		:: row == RUNNING && lapsed -> fresh = false; break
#endif
		:: row == SUCCEEDED || row == UNDONE || row == UNLOCKED -> goto over
		od;
		row = RUNNING; owner = me; lapsed = false; fence++; mine = fence
	}
	/* It may die here, before it has sent anything to the host. */
	if
	:: crashes < CRASHES -> crashes++; goto crashed
	:: fresh -> wire!START, mine, me
	:: !fresh -> wire!ATTACH, mine, me
	fi;
listen:
	if
	:: crashes < CRASHES -> crashes++; goto crashed
	:: reply[me]?said, about
	fi;
	if
	:: about != mine -> goto listen		/* an answer to an earlier attempt */
	:: else -> skip
	fi;
	if
	:: said == GONE_ON ->			/* ask again until the run has ended */
		if
		:: atom_is == DONE || atom_is == DEAD || atom_is == RECOVERED || atom_is == NONE -> skip
		:: !(owner == me && fence == mine) -> goto claim	/* lost: leave the host alone */
		fi;
		wire!ATTACH, mine, me; goto listen
	:: said == NO_RUN -> wire!START, mine, me; goto listen
	:: said == LOWER -> assert(!(owner == me && fence == mine)); goto claim
	:: said == IS_DONE -> ending(SUCCEEDED)
	:: said == IS_UNDONE -> ending(UNDONE)
	fi;
	goto claim;
crashed:
	/* No one renews its lease now; the same worker starts again and remembers nothing. */
	atomic {
		if
		:: owner == me && row == RUNNING -> lapsed = true
		:: else -> skip
		fi;
		do
		:: reply[me]?said, about
		:: empty(reply[me]) -> break
		od
	}
	goto claim;
over:
	skip
}

init {
	atomic { run Worker(1); run Worker(2) }
}

/* Safety, in every state. */
active proctype Watcher() {
end:	do
	:: atomic { starts > 1 -> assert(false) }
	:: atomic { undos > 1 -> assert(false) }
	:: atomic { (row == SUCCEEDED && atom_is != DONE) -> assert(false) }
	:: atomic { (row == UNDONE && atom_is != RECOVERED) -> assert(false) }
	od
}

/* Every accepted operation reaches an end, if crashes and lapses do not go on for ever. */
ltl ends { <> (row == SUCCEEDED || row == UNDONE || row == UNLOCKED) }
