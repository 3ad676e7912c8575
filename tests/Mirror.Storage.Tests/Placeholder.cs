namespace Mirror.Tests;
