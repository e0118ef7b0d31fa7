// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The record of every push to every repository
/// @notice A repository's head is one word: the hash chain over its pushes, its low 5 bytes the number of pushes. A head
/// moves only from the value that the caller names, so no two recorders can fork a repository.
interface IProvenanceRegistry {
    /// @param namespace A claimed name, or the owner's address as `0x` and 40 lower-case hex digits
    struct Registration {
        string namespace;
        string name;
        address owner;
    }

    /// @param commits Commits that this push was the first to bring
    struct Author {
        address account;
        uint64 commits;
    }

    /// @param record sha2-256 digest of the PushRecord's CID
    /// @param manifest sha2-256 digest of the Manifest's CID
    /// @param contributionsRoot Merkle root over every (author, commits); `authors` lists the largest, at most 16 of them
    struct Push {
        bytes32 repo;
        bytes32 previous;
        uint40 seq;
        bytes32 record;
        bytes32 manifest;
        bytes32 contributionsRoot;
        address pusher;
        Author[] authors;
    }

    /// @notice A readable namespace has a (new) owner; `id` is the name's keccak256
    event NamespaceClaimed(bytes32 indexed id, address indexed owner, string name);
    /// @notice A repository was registered; `repo` is the keccak256 of `<namespace>/<name>`
    event RepositoryCreated(bytes32 indexed repo, address indexed owner, string namespace, string name);
    /// @notice An account may push directly to a repository, or no longer
    event WriterSet(bytes32 indexed repo, address indexed account, bool allowed);
    /// @notice An account may record batches, or no longer
    event RecorderSet(address indexed recorder, bool allowed);
    /// @notice A repository's head moved from `previous` to `head`
    event PushRecorded(
        bytes32 indexed repo,
        uint40 indexed seq,
        address indexed pusher,
        bytes32 previous,
        bytes32 head,
        bytes32 record,
        bytes32 manifest,
        bytes32 contributionsRoot,
        Author[] authors
    );
    /// @notice `count` pushes were recorded together; `root` is the Merkle root over their leaves
    event BatchCommitted(uint64 indexed number, bytes32 root, uint32 count);

    /// @notice Thrown when a namespace is not 3 to 39 lower-case letters, digits and single inner hyphens, or looks like an address
    error NamespaceInvalid(string name);
    /// @notice Thrown when a namespace already has an owner
    error NamespaceTaken(string name, address owner);
    /// @notice Thrown when an account acts on a namespace that is not its own
    error NotNamespaceOwner(string name, address account);
    /// @notice Thrown when a repository name is empty, too long, or has characters other than a-z 0-9 . _ -
    error NameInvalid(string name);
    /// @notice Thrown when a repository exists already
    error RepositoryExists(bytes32 repo);
    /// @notice Thrown when a repository is not registered
    error RepositoryUnknown(bytes32 repo);
    /// @notice Thrown when an account that is not the repository's owner changes it
    error NotRepositoryOwner(bytes32 repo, address account);
    /// @notice Thrown when an account that is neither owner nor writer pushes directly
    error NotWriter(bytes32 repo, address account);
    /// @notice Thrown when an account that is no recorder commits a batch
    error NotRecorder(address account);
    /// @notice Thrown when a push does not start at the repository's head
    error HeadMoved(bytes32 repo, bytes32 head, bytes32 previous);
    /// @notice Thrown when a push's number does not follow its predecessor's
    error SeqMismatch(bytes32 repo, uint40 wanted, uint40 got);
    /// @notice Thrown when a push lists more authors one by one than it may
    error TooManyAuthors(uint256 most, uint256 got);
    /// @notice Thrown when a batch holds no push
    error BatchEmpty();

    /// @notice Takes a readable namespace for the caller
    function claimNamespace(string calldata name) external;

    /// @notice Gives the caller's namespace to another account; repositories already in it keep their owners
    function transferNamespace(string calldata name, address to) external;

    /// @notice Registers a repository in the caller's namespace
    function createRepository(string calldata namespace, string calldata name) external returns (bytes32 repo);

    /// @notice Lets an account push to the caller's repository, or no longer
    function setWriter(bytes32 repo, address account, bool allowed) external;

    /// @notice Lets an account record batches, or no longer; for the contract's owner
    function setRecorder(address recorder, bool allowed) external;

    /// @notice Records pushes, all or none, after registering the repositories that are new; for recorders
    /// @dev A repository that exists already is passed over, so that its owner cannot stop a batch by registering it first.
    /// The leaves' Merkle tree pairs neighbours in sorted order; an odd one out moves up as it is.
    function commitBatch(Registration[] calldata registrations, Push[] calldata pushes) external;

    /// @notice Records one push without any server; `pusher` must be the caller, an owner or writer
    function pushDirect(Push calldata push) external;

    /// @notice The repository's head; zero before its first push
    function headOf(bytes32 repo) external view returns (bytes32);

    /// @notice Who owns a repository; zero if it is not registered
    function repositoryOwner(bytes32 repo) external view returns (address);

    /// @notice Whether an account beside the owner may push directly
    function isWriter(bytes32 repo, address account) external view returns (bool);

    /// @notice The account that owns a namespace; an address namespace belongs to that address
    function namespaceOwner(string calldata name) external view returns (address);

    /// @notice Whether an account may record batches
    function isRecorder(address account) external view returns (bool);

    /// @notice How many batches were committed; they are numbered from 1
    function batchCount() external view returns (uint64);

    /// @notice Merkle root over a batch's push leaves; zero for a number not reached yet
    function batchRoots(uint64 number) external view returns (bytes32);

    /// @notice Whether a push leaf is in a batch
    function verifyInBatch(uint64 number, bytes32 leaf, bytes32[] calldata proof) external view returns (bool);
}
