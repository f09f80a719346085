//! Who is who: organizations, people, memberships, sessions
