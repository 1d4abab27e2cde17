"""Ending a process at a chosen moment of its talk with the cluster."""
import time


def kill_at(box, proxy, script, pattern, skip=0, env=None, done=True):
    """Run `script` in a shell of its own and kill it (-9) when the cluster has carried out such a request and its answer is held
    back: the process never learns. done false: when the request is on its way, which the cluster then never gets. skip: how many
    such requests go before."""
    rule = proxy.rule("delay_answer" if done else "hang", on=pattern, seconds=20, skip=skip)
    running = box.start(script, env=env)
    for _ in range(3000):
        if rule["fired"] and not (done and proxy.busy):
            break
        proxy.wait(0.01)
    else:
        raise AssertionError("it never came to the request: %r" % running.kill())
    time.sleep(0.3)
    assert running.kill().code == -9
    proxy.clear()
