"""The trials of a search on a Ray cluster, `launcher=ray`: as many at once as it has room for.

Ray chooses the machines. The study stays with the program that was called: it alone proposes, prunes and notes ends.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from trainer.records.folder import RunFolder
from trainer.runs.ray_cluster import Cluster, join_cluster
from trainer.search.plan import Plan
from trainer.search.pruning import Question, RemotePruner, open_desk
from trainer.search.study import Proposal
from trainer.search.trial import Outcome, run_trial
from trainer.training.stop_signals import interrupt_on_signals
from utils.errors import UserError

log = logging.getLogger(__name__)


def study_on_cluster(plan: Plan, trials: int) -> None:
    """Run trials until `trials` have come to an end. Those that are left when this ends early save and stay open.

    Raises `UserError` where Ray or a cluster is missing, or all trials failed; `KeyboardInterrupt` where somebody asks
    the search to stop.
    """
    cluster = join_cluster()
    running: dict[Any, Proposal] = {}
    with interrupt_on_signals(), cluster.stopping(running, plan.command), open_desk(cluster.ray) as desk:
        Field(plan, cluster, desk, running).run(trials)


class Field:
    """Trials on their machines. `running` holds their proposals, by Ray's references to their ends."""

    def __init__(self, plan: Plan, cluster: Cluster, desk: Any, running: dict[Any, Proposal]) -> None:
        self.plan, self.cluster, self.desk, self.running = plan, cluster, desk, running
        self.questions = [desk.next_question.remote()]

    def run(self, trials: int) -> None:
        """Send trials, answer what they ask and note how they end, until `trials` have come to an end."""
        while self.send_more(trials):
            (ready, *_), _ = self.cluster.ray.wait([*self.questions, *self.running])
            if ready in self.questions:
                self.hear(ready)
            else:
                self.note_end(ready)

    def send_more(self, trials: int) -> bool:
        """Send what is missing as far as there is room; whether any trial is running.

        Not all at once: the later a trial is proposed, the more is known of the others.
        """
        while len(self.running) < min(self.cluster.room, trials - len(self.plan.study.finished)):
            proposal = self.plan.study.propose()
            config = self.plan.prepared(proposal)
            if config is not None:
                asker = RemotePruner(self.desk, proposal.number)
                work = partial(run_trial, command=self.plan.command, should_prune=asker)
                self.running[self.cluster.send(work, config)] = proposal
                log.info("trial %d: sent to the cluster; its log is %s", proposal.number, RunFolder(config.folder).log)
        return bool(self.running)

    def hear(self, question: Any) -> None:
        """Answer a question, and listen for the next. Where the desk is gone, trials go on, and none is pruned."""
        try:
            self.answer(self.cluster.ray.get(question))
            self.questions = [self.desk.next_question.remote()]
        except self.cluster.ray.exceptions.RayActorError as error:
            log.warning("the process that takes the trials' questions is gone, so no more is pruned (%s)", error)
            self.questions = []

    def answer(self, question: Question) -> None:
        """Record a trial's score and answer whether it goes on; one that has ended meanwhile is answered yes."""
        proposal = {each.number: each for each in self.running.values()}.get(question.trial)
        if proposal is not None:
            label = self.plan.study.metric.label
            log.info("trial %d: epoch %d, %s %.4f", question.trial, question.epoch + 1, label, question.score)
        prune = proposal is not None and proposal.should_prune(question.epoch, question.score)
        self.desk.answer.remote(question.key, prune)

    def note_end(self, sent: Any) -> None:
        """Note how a trial ended: what the user can mend, and machines that died of it, are its own failure."""
        proposal = self.running[sent]
        try:
            _, outcome = self.cluster.end_of(sent)
        except UserError as error:
            outcome = Outcome("failed", reason=str(error))
        del self.running[sent]
        self.plan.close(proposal, outcome)
