"""Questionnaires and the answers to them (R4 Questionnaire, QuestionnaireResponse)."""
