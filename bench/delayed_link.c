/* line PORT TO_PORT MS: a line with a round trip of MS milliseconds to every loopback address.

   What connects to an address at PORT is carried to the same address at TO_PORT, each byte MS/2 later than it came; the
   first ones later still, by the round trip that connecting takes. One thread, so that it costs all the same. Prints a
   line once it listens. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 8 << 20, READ = 1 << 16, MOST = 4096 }; /* bytes on the way in one direction, bytes a read, connections */

struct chunk {
    struct chunk *next;
    double due;
    size_t length, written;
    char data[];
};

struct way { /* one direction */
    int from, to, ended, shut, blocked;
    double earliest, end_due;
    size_t held;
    struct chunk *first, *last;
};

struct pair {
    struct way ways[2];
    int broken;
} *pairs[MOST];

static int count;
static double one_way;
static char buffer[READ];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void take(struct pair *pair, struct way *way) {
    ssize_t length = read(way->from, buffer, READ);
    double due = now() + one_way;
    if (due < way->earliest) due = way->earliest;
    if (length > 0) {
        struct chunk *chunk = malloc(sizeof *chunk + length);
        if (!chunk) exit(1);
        *chunk = (struct chunk){.due = due, .length = length};
        memcpy(chunk->data, buffer, length);
        *(way->last ? &way->last->next : &way->first) = chunk;
        way->last = chunk;
        way->held += length;
    } else if (length == 0) {
        way->ended = 1;
        way->end_due = due;
    } else if (errno != EAGAIN) {
        pair->broken = 1;
    }
}

static void give(struct pair *pair, struct way *way, double time) {
    struct chunk *chunk;
    way->blocked = 0;
    while ((chunk = way->first) && chunk->due <= time) {
        ssize_t length = write(way->to, chunk->data + chunk->written, chunk->length - chunk->written);
        if (length < 0) {
            if (errno == EAGAIN) way->blocked = 1;
            else pair->broken = 1;
            return;
        }
        chunk->written += length;
        way->held -= length;
        if (chunk->written < chunk->length) continue;
        if (!(way->first = chunk->next)) way->last = NULL;
        free(chunk);
    }
    if (!way->first && way->ended && !way->shut && way->end_due <= time) {
        way->shut = 1;
        shutdown(way->to, SHUT_WR);
    }
}

static double due_of(struct way *way) { /* when it has something to do by itself */
    if (way->blocked) return 1e18;
    if (way->first) return way->first->due;
    return way->ended && !way->shut ? way->end_due : 1e18;
}

static void begin(int listener, int to_port) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int on = 1, client = accept4(listener, NULL, NULL, SOCK_NONBLOCK), host = socket(AF_INET, SOCK_STREAM, 0);
    double time = now();
    if (client < 0 || host < 0 || getsockname(client, (void *)&address, &size)) goto refused;
    address.sin_port = htons(to_port);
    if (count == MOST || connect(host, (void *)&address, sizeof address)) goto refused;
    fcntl(host, F_SETFL, O_NONBLOCK);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(host, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct pair *pair = pairs[count++] = calloc(1, sizeof **pairs);
    if (!pair) exit(1);
    /* Over a real line the host hears of the connection one and a half round trips after its client began it. */
    pair->ways[0] = (struct way){.from = client, .to = host, .earliest = time + 3 * one_way};
    pair->ways[1] = (struct way){.from = host, .to = client, .earliest = time + 4 * one_way};
    return;
refused:
    if (client >= 0) close(client);
    if (host >= 0) close(host);
}

static void end(int number) {
    struct pair *pair = pairs[number];
    for (int i = 0; i < 2; i++) {
        close(pair->ways[i].from);
        for (struct chunk *chunk = pair->ways[i].first, *next; chunk; chunk = next) {
            next = chunk->next;
            free(chunk);
        }
    }
    free(pair);
    pairs[number] = pairs[--count];
}

int main(int given, char **words) {
    static struct pollfd watched[2 * MOST + 1];
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (given != 4) return 2;
    one_way = atof(words[3]) / 2000;
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1024)) return perror("line"), 1;
    fcntl(listener, F_SETFL, O_NONBLOCK);
    puts("listening");
    fflush(stdout);
    for (;;) {
        double time = now(), next = time + 1;
        for (int n = 0; n < count; n++) {
            struct pair *pair = pairs[n];
            for (int i = 0; i < 2 && !pair->broken; i++)
                if (due_of(&pair->ways[i]) <= time) give(pair, &pair->ways[i], time);
            if (pair->broken || (pair->ways[0].shut && pair->ways[1].shut)) {
                end(n--);
                continue;
            }
            for (int i = 0; i < 2; i++) {
                struct way *way = &pair->ways[i], *back = &pair->ways[1 - i];
                short reads = !way->ended && way->held < ROOM ? POLLIN : 0;
                watched[2 * n + i] = (struct pollfd){way->from, reads | (back->blocked ? POLLOUT : 0), 0};
                if (!watched[2 * n + i].events) watched[2 * n + i].fd = -1; /* else an end would be told for ever */
                if (due_of(way) < next) next = due_of(way);
            }
        }
        int known = count;
        watched[2 * known] = (struct pollfd){listener, POLLIN, 0};
        double wait = next > now() ? next - now() : 0;
        struct timespec left = {(time_t)wait, (long)((wait - (time_t)wait) * 1e9)};
        if (ppoll(watched, 2 * known + 1, &left, NULL) <= 0) continue;
        for (int n = 0; n < known; n++)
            for (int i = 0; i < 2; i++) {
                struct pair *pair = pairs[n];
                short told = watched[2 * n + i].revents;
                if (told & POLLOUT) give(pair, &pair->ways[1 - i], now());
                if (told & (POLLIN | POLLHUP | POLLERR) && !pair->ways[i].ended) take(pair, &pair->ways[i]);
            }
        if (watched[2 * known].revents) begin(listener, atoi(words[2]));
    }
}
