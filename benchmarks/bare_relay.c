/* The least that a relay can do, for `relay.py` to compare with: level-triggered epoll, one recvfrom, the source compared,
 * one sendto. No RTP, no statistics, no timers, one thread.
 *
 * Reads one line `ADDRESS:PORT ADDRESS:PORT` per call (its peers) until an empty one, prints where it takes the packets of
 * each, relays until it is killed. */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { RECEIVE_BUFFER = 65536, DATAGRAM = 2048, BATCH = 256 };

struct leg {
    int socket;
    struct sockaddr_in peer;
};

static void require(int succeeded, const char *what) {
    if (!succeeded) {
        perror(what);
        exit(1);
    }
}

static struct leg open_leg(const char *host, int port) {
    int size = RECEIVE_BUFFER;
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct leg leg = {.peer = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)}};
    require(inet_pton(AF_INET, host, &leg.peer.sin_addr) == 1, "inet_pton");
    leg.socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    require(leg.socket >= 0, "socket");
    require(setsockopt(leg.socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0, "setsockopt");
    require(bind(leg.socket, (struct sockaddr *)&local, sizeof local) == 0, "bind");
    return leg;
}

static void print_address(const struct leg *leg, char end) {
    struct sockaddr_in local;
    socklen_t length = sizeof local;
    require(getsockname(leg->socket, (struct sockaddr *)&local, &length) == 0, "getsockname");
    printf("127.0.0.1:%d%c", ntohs(local.sin_port), end);
}

/* The legs of a call stand side by side. */
static struct leg *open_legs(int epoll) {
    char line[128], hosts[2][64];
    int ports[2], count = 0;
    struct leg *legs = NULL;
    while (fgets(line, sizeof line, stdin) != NULL && line[0] != '\n') {
        int read = sscanf(line, "%63[^:]:%d %63[^:]:%d", hosts[0], &ports[0], hosts[1], &ports[1]);
        require(read == 4, "two addresses");
        legs = realloc(legs, sizeof *legs * (size_t)(count + 2));
        require(legs != NULL, "realloc");
        for (int side = 0; side < 2; side++, count++) {
            legs[count] = open_leg(hosts[side], ports[side]);
            struct epoll_event event = {.events = EPOLLIN, .data.u32 = (unsigned)count};
            require(epoll_ctl(epoll, EPOLL_CTL_ADD, legs[count].socket, &event) == 0, "epoll_ctl");
            print_address(&legs[count], side == 0 ? ' ' : '\n');
        }
    }
    fflush(stdout);
    return legs;
}

static void relay(const struct leg *from, const struct leg *to) {
    char data[DATAGRAM];
    struct sockaddr_in source;
    socklen_t length = sizeof source;
    ssize_t octets = recvfrom(from->socket, data, sizeof data, 0, (struct sockaddr *)&source, &length);
    if (octets < 0 || source.sin_port != from->peer.sin_port
        || source.sin_addr.s_addr != from->peer.sin_addr.s_addr)
        return;
    /* A full buffer loses the packet, as the network would. */
    (void)sendto(to->socket, data, (size_t)octets, 0, (const struct sockaddr *)&to->peer, sizeof to->peer);
}

int main(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    require(epoll >= 0, "epoll_create1");
    const struct leg *legs = open_legs(epoll);
    for (;;) {
        struct epoll_event ready[BATCH];
        int count = epoll_wait(epoll, ready, BATCH, -1);
        for (int each = 0; each < count; each++)
            relay(&legs[ready[each].data.u32], &legs[ready[each].data.u32 ^ 1]);
    }
}
