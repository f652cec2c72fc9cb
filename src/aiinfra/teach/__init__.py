"""What the learner did: predictions, comparisons, checks, quizzes, and the ledger of numbers."""

from aiinfra.teach import ledger
from aiinfra.teach.check import check
from aiinfra.teach.compare import compare
from aiinfra.teach.predict import predict
from aiinfra.teach.quiz import quiz
from aiinfra.teach.score import score
from aiinfra.teach.trial import trial, tried
from aiinfra.teach.words import learned

__all__ = ["check", "compare", "learned", "ledger", "predict", "quiz", "score", "trial", "tried"]
